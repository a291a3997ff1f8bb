"""Reading YAML that people edit: duplicate keys are refused, and an error names the file and the line."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from advisor.errors import CatalogError
from advisor.i18n import N_, _

if TYPE_CHECKING:
    from yaml import MappingNode

PARSER_SAYS: Final = (
    N_("could not find expected ':'"),
    N_("expected ',' or ']', but got ':'"),
    N_("expected ',' or ']', but got '<stream end>'"),
    N_("expected ',' or '}', but got ':'"),
    N_("expected ',' or '}', but got '<stream end>'"),
    N_("expected <block end>, but found '<block mapping start>'"),
    N_("expected <block end>, but found '<block sequence start>'"),
    N_("expected <block end>, but found '<scalar>'"),
    N_("expected <block end>, but found '-'"),
    N_("expected the node content, but found '<stream end>'"),
    N_("found character '\\t' that cannot start any token"),
    N_("found unexpected end of stream"),
    N_("mapping keys are not allowed here"),
    N_("mapping values are not allowed here"),
    N_("sequence entries are not allowed here"),
)
"""What PyYAML says most often of a file that was edited by hand; its rarer words stay as they are."""


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
            for key in (key for key, _value in node.value if isinstance(key, yaml.ScalarNode)):
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(
                        problem=_("duplicate key {key!r}").format(key=key.value), problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        problem = _(error.problem or N_("not valid YAML"))
        if error.problem_mark is None:
            raise CatalogError(
                _("{path}: {problem}; correct the file").format(path=path, problem=problem)
            ) from error
        text = _("{path}, line {line}: {problem}; correct the file")
        line = error.problem_mark.line + 1
        raise CatalogError(text.format(path=path, line=line, problem=problem)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CatalogError(
            _("{path}: not valid YAML in UTF-8 ({reason}); correct the file").format(path=path, reason=reason)
        ) from error
    except OSError as error:
        raise CatalogError(
            _("{path}: cannot be read ({reason}); check the path").format(
                path=path, reason=_(error.strerror or str(error))
            )
        ) from error
