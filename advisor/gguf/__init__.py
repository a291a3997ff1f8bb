"""GGUF files: what their headers say, without loading them.

`header` reads the format, `files` joins the parts of split files, `translation` turns the keys into an
`Architecture`, `facts` tells what else a header says.
"""

from advisor.gguf.facts import model_name, quantization_name, tensor_sizes
from advisor.gguf.files import read_header, read_header_in
from advisor.gguf.header import ArrayLength, GgufHeader, GgufTensor, parse_header
from advisor.gguf.translation import architecture_of_header

__all__ = [
    "ArrayLength",
    "GgufHeader",
    "GgufTensor",
    "architecture_of_header",
    "model_name",
    "parse_header",
    "quantization_name",
    "read_header",
    "read_header_in",
    "tensor_sizes",
]
