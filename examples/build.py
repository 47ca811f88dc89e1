"""Turns the component text of the examples into components: `make examples`, which writes examples/*.wasm."""

from pathlib import Path

from wasmtime import wat2wasm


def main() -> None:
    """Build every example beside its source."""
    for source in sorted(Path(__file__).parent.glob("*.wat")):
        component = source.with_suffix(".wasm")
        component.write_bytes(wat2wasm(source.read_text(encoding="utf-8")))
        print(f"{component.parent.name}/{component.name}  {component.stat().st_size} bytes")


if __name__ == "__main__":
    main()
