"""A worker's folder as dictionaries: what the functions of wasi:filesystem should answer, without symbolic links."""

from __future__ import annotations

from golem_server.model.types import Value


class File:
    """A file's contents, by whatever names."""

    def __init__(self) -> None:
        self.content = b""


class Directory(dict[str, "File | Directory"]):
    """A directory's entries by name."""


class Refused(Exception):
    """The error code that is to be expected."""


class FolderModel:
    """Each method has the effect and gives the value, or raises Refused."""

    def __init__(self, total_bytes: int, names: int) -> None:
        self.root = Directory()
        self._total_bytes = total_bytes
        self._names = names

    def usage(self) -> tuple[int, int]:
        """Bytes and names."""
        files: set[File] = set()
        names = 0
        pending = [self.root]
        while pending:
            for node in pending.pop().values():
                names += 1
                if isinstance(node, Directory):
                    pending.append(node)
                else:
                    files.add(node)
        return sum(len(file.content) for file in files), names

    def put(self, path: str, offset: int, content: bytes) -> Value:
        """Create where missing, then write."""
        parent, name = self._parent(path)
        if name not in parent:
            self._room_for_name()
            parent[name] = File()
        file = parent[name]
        if isinstance(file, Directory):
            raise Refused("is-directory")
        grown = file.content.ljust(offset, b"\0") if content else file.content
        grown = grown[:offset] + content + grown[offset + len(content) :] if content else grown
        self._resize(file, grown)
        return len(content)

    def set_size(self, path: str, size: int) -> Value:
        """Cut or fill up."""
        file = self._file(path)
        self._resize(file, file.content[:size].ljust(size, b"\0"))

    def read(self, path: str) -> Value:
        """The whole file."""
        return self._file(path).content

    def create_directory(self, path: str) -> Value:
        """Make a directory."""
        parent, name = self._parent(path)
        if name in parent:
            raise Refused("exist")
        self._room_for_name()
        parent[name] = Directory()

    def remove_directory(self, path: str) -> Value:
        """Remove an empty one."""
        parent, name, node = self._found(path)
        if not isinstance(node, Directory):
            raise Refused("not-directory")
        if node:
            raise Refused("not-empty")
        del parent[name]

    def unlink(self, path: str) -> Value:
        """Remove a file's name."""
        parent, name, node = self._found(path)
        if isinstance(node, Directory):
            raise Refused("is-directory")
        del parent[name]

    def link(self, old: str, new: str) -> Value:
        """One more name."""
        source, source_name = self._parent(old)
        parent, name = self._parent(new)
        if source_name not in source:
            raise Refused("no-entry")
        node = source[source_name]
        if isinstance(node, Directory):
            raise Refused("not-permitted")
        if name in parent:
            raise Refused("exist")
        self._room_for_name()
        parent[name] = node

    def rename(self, old: str, new: str) -> Value:
        """Move and replace."""
        source, source_name = self._parent(old)
        parent, name = self._parent(new)
        if source_name not in source:
            raise Refused("no-entry")
        node, there = source[source_name], parent.get(name)
        if node is there:
            return
        if isinstance(node, Directory):
            if _contains(node, parent):
                raise Refused("invalid")
            if _contains_node(there, source):
                raise Refused("not-empty")
            if there is not None and not isinstance(there, Directory):
                raise Refused("not-directory")
            if there:
                raise Refused("not-empty")
        elif isinstance(there, Directory):
            raise Refused("not-empty" if _contains_node(there, source) else "is-directory")
        del source[source_name]
        parent[name] = node

    def names(self, path: str) -> Value:
        """Types and names, sorted."""
        node = self._found(path)[2] if path != "." else self.root
        if not isinstance(node, Directory):
            raise Refused("not-directory")
        return [("directory" if isinstance(node[name], Directory) else "regular-file", name) for name in sorted(node)]

    def _parent(self, path: str) -> tuple[Directory, str]:
        *above, name = path.split("/")
        directory = self.root
        for step in above:
            if step not in directory:
                raise Refused("no-entry")
            below = directory[step]
            if not isinstance(below, Directory):
                raise Refused("not-directory")
            directory = below
        return directory, name

    def _found(self, path: str) -> tuple[Directory, str, File | Directory]:
        parent, name = self._parent(path)
        if name not in parent:
            raise Refused("no-entry")
        return parent, name, parent[name]

    def _file(self, path: str) -> File:
        node = self._found(path)[2]
        if isinstance(node, Directory):
            raise Refused("is-directory")
        return node

    def _room_for_name(self) -> None:
        if self.usage()[1] >= self._names:
            raise Refused("insufficient-space")

    def _resize(self, file: File, content: bytes) -> None:
        growth = len(content) - len(file.content)
        if growth > 0 and self.usage()[0] + growth > self._total_bytes:
            raise Refused("insufficient-space")
        file.content = content


def _contains(directory: Directory, searched: Directory) -> bool:
    return directory is searched or any(
        isinstance(node, Directory) and _contains(node, searched) for node in directory.values()
    )


def _contains_node(node: File | Directory | None, searched: Directory) -> bool:
    return isinstance(node, Directory) and _contains(node, searched)
