"""Makes components of the examples: `make examples`, which writes examples/*.wasm.

Component text needs nothing but wasmtime, the cart in Python componentize-py, of the development dependencies.
"""

import subprocess
import sysconfig
from pathlib import Path

from wasmtime import wat2wasm

EXAMPLES = Path(__file__).parent


def build_text(source: Path) -> Path:
    """The component of a file of component text, beside it."""
    component = source.with_suffix(".wasm")
    component.write_bytes(wat2wasm(source.read_text(encoding="utf-8")))
    return component


def build_cart(folder: Path) -> Path:
    """The component of the shopping cart, in a folder; takes some seconds."""
    component = folder / "shopping-cart.wasm"
    compiler = Path(sysconfig.get_path("scripts")) / "componentize-py"
    source = EXAMPLES / "shopping-cart"
    wit = ("--wit-path", source / "cart.wit", "--world", "shop")
    subprocess.run([compiler, *wit, "componentize", "cart", "-p", source, "-o", component], check=True)
    return component


def main() -> None:
    """Build every example."""
    for component in (*map(build_text, sorted(EXAMPLES.glob("*.wat"))), build_cart(EXAMPLES)):
        print(f"{component.parent.name}/{component.name}  {component.stat().st_size} bytes")


if __name__ == "__main__":
    main()
