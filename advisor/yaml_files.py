"""Reading YAML that people edit: duplicate keys are refused, and an error names the file and the line."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.errors import CatalogError

if TYPE_CHECKING:
    from yaml import MappingNode


def read_yaml(path: Path) -> object:
    """The document in `path`, as plain Python values.

    PyYAML itself would keep the last of two equal keys without a word. Raises `CatalogError` (one line:
    file, line, what is wrong) for a file that cannot be read, is not UTF-8, or is not YAML.
    """
    # Imported here: 15 ms that a program which reads compiled JSON need not pay.
    import yaml

    class UniqueKeyLoader(yaml.SafeLoader):
        def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"duplicate key {key.value!r}", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise CatalogError(f"{path}{line}: {error.problem or 'not valid YAML'}; correct the file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CatalogError(f"{path}: not valid YAML in UTF-8 ({reason}); correct the file") from error
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read ({error.strerror}); check the path") from error
