"""The initial files of an upload, in the words of all generations of clients (reference: rest-api, section 8).

1.2 sends `files`, a zip, and `filesPermissions`; 1.4 the zip and `fileOptions`; both mean files of the component, which
are called in the folder what they are called in the zip, and can only be read unless something else is said. 1.5 says
for each agent type which file of the zip goes where.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from golem_server.api.services import ApiServices
from golem_server.api.uploads import Form
from golem_server.model.errors import InvalidInput
from golem_server.model.initial_files import (
    NO_CHANGES,
    FileChanges,
    InitialFile,
    Permissions,
    file_path,
    permissions_of,
)
from golem_server.registry.file_archives import ArchiveLimits, KeptFile


class FileOption(msgspec.Struct, rename="camel"):
    """What 1.4 says of a file."""

    permissions: str | None = None


class PathPermissions(msgspec.Struct, rename="camel"):
    """What 1.2 says of a file."""

    path: str
    permissions: str | None = None


class FilesPermissions(msgspec.Struct, rename="camel"):
    """The `filesPermissions` part of 1.2."""

    values: list[PathPermissions] = []


class FileTarget(msgspec.Struct, rename="camel"):
    """Where 1.5 wants a file of the archive."""

    target_path: str
    permissions: str | None = None


class FileSettings(msgspec.Struct, rename="camel"):
    """What 1.5 says of the files of an agent type."""

    files: dict[str, FileTarget] | None = None
    files_to_add_or_update: dict[str, FileTarget] | None = None
    files_to_remove: list[str] | None = None
    file_permission_updates: dict[str, str] | None = None

    def changes(self, archive: Mapping[str, KeptFile]) -> FileChanges:
        """What changes, with the contents of the archive. Raises InvalidInput."""
        given = {**(self.files or {}), **(self.files_to_add_or_update or {})}
        added: dict[str, InitialFile] = {}
        for source, target in given.items():
            path = file_path(target.target_path)
            if path in added:
                raise InvalidInput(f"Invalid file path: two files are to be {path}", code="INVALID_FILE_PATH")
            added[path] = _file(path, _kept(archive, source), permissions_of(target.permissions))
        return FileChanges(
            added=list(added.values()),
            removed=[file_path(path) for path in self.files_to_remove or []],
            permissions={
                file_path(path): permissions_of(text) for path, text in (self.file_permission_updates or {}).items()
            },
        )


async def kept_archive(form: Form, services: ApiServices) -> dict[str, KeptFile] | None:
    """The files of the form's archive, whose contents are kept now; None where it has none.

    Raises InvalidInput and TooLarge: an archive may hold what a worker may.
    """
    archive = form.files.get("files") or form.files.get("newFiles")
    if archive is None:
        return None
    worker = services.settings.limits.worker
    return await services.components.keep_files(archive, ArchiveLimits(worker.files, worker.disk))


def component_changes(
    archive: Mapping[str, KeptFile] | None,
    permissions: Mapping[str, str | None],
    removed: list[str],
    *,
    replace: bool,
) -> FileChanges:
    """What changes in the files of the component itself; `permissions` are by path. Raises InvalidInput.

    A path that the archive does not have is one of the revision before, unless all of its files are replaced.
    """
    wanted: dict[str, Permissions] = {}
    wanted.update((file_path(path), permissions_of(text)) for path, text in permissions.items())
    if archive is None and not wanted and not removed:
        return NO_CHANGES
    found = archive or {}
    missing = next((path for path in wanted if path not in found), None)
    if missing is not None and replace:
        raise _not_in_archive(missing)
    return FileChanges(
        added=[_file(path, kept, wanted.get(path, "read-only")) for path, kept in found.items()],
        removed=[file_path(path) for path in removed],
        permissions={path: wanted[path] for path in wanted.keys() - found.keys()},
        replace=replace and archive is not None,
    )


def _file(path: str, kept: KeptFile, permissions: Permissions) -> InitialFile:
    return InitialFile(path, kept.content_hash, kept.size, permissions)


def _kept(archive: Mapping[str, KeptFile], source: str) -> KeptFile:
    path = file_path(source)
    kept = archive.get(path)
    if kept is None:
        raise _not_in_archive(path)
    return kept


def _not_in_archive(path: str) -> InvalidInput:
    return InvalidInput(f"Malformed component archive: it has no file {path}", code="MALFORMED_ARCHIVE")
