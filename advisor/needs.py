"""What a request asks of a model whatever the machine: hard needs, context, and the files worth trying."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from advisor.candidates import Turned
from advisor.i18n import _
from advisor.model import Artifact, Model, ModelKind
from advisor.serving.engines import ENGINES
from advisor.settings import Settings
from advisor.usecase import DEFAULT_N_CTX, Backend, Requirements

EMBEDDER_N_CTX: Final = 2048
"""Context of embedders and rerankers unless another is asked for: chunks of documents are shorter, and the
graph of a decoder that embeds grows with the whole vocabulary for every token of it."""

PERMISSIVE_LICENSES: Final = frozenset({"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0"})


def settings_for(model: Model, requirements: Requirements) -> Settings:
    """The context the model is run with: what was asked, never more than it was trained for.

    Embedders and rerankers read a text in one graph, so that batch and graph are as long as the context.
    """
    n_ctx = min(requirements.n_ctx, model.architecture.n_ctx_train)
    n_seqs = max(requirements.n_seqs, requirements.users)
    if model.kind is ModelKind.CHAT:
        return Settings(n_ctx=n_ctx, n_seqs=n_seqs, kv_type=requirements.kv_type)
    if requirements.n_ctx == DEFAULT_N_CTX:
        n_ctx = min(n_ctx, EMBEDDER_N_CTX)
    return Settings(n_ctx=n_ctx, n_seqs=n_seqs, n_batch=n_ctx, n_ubatch=n_ctx, embeddings=True)


def unmet_need(model: Model, requirements: Requirements) -> str | None:
    """The first hard need that the model does not meet, whatever the machine."""
    return next(_unmet_needs(model, requirements), None)


def _unmet_needs(model: Model, needs: Requirements) -> Iterator[str]:
    if needs.profile.images and "image" not in model.modalities:
        yield _("takes text only; this use case needs images")
    if needs.profile.tools and not model.tools:
        yield _("not trained to call tools, which an agent needs")
    if needs.license == "permissive" and model.license.id not in PERMISSIVE_LICENSES:
        yield _("its licence ({license}) is not a permissive one").format(license=_(model.license.id))
    if needs.license == "commercial" and not model.license.commercial:
        yield _no_commercial_use(model)
    listed = model.languages if not model.languages_partial else ()
    missing = [code for code in needs.languages if listed and code not in listed]
    if missing:
        text = _("its maker does not list the language {languages}")
        yield text.format(languages=", ".join(missing))
    if needs.n_ctx > max(DEFAULT_N_CTX, model.architecture.n_ctx_train):
        text = _("trained for {trained:,} tokens; {asked:,} were asked for")
        yield text.format(trained=model.architecture.n_ctx_train, asked=needs.n_ctx)


def _no_commercial_use(model: Model) -> str:
    if model.license.commercial is None:
        text = _("whether its licence ({license}) allows commercial use was not read")
    else:
        text = _("its licence ({license}) does not allow commercial use")
    return text.format(license=_(model.license.id))


def quantizations(model: Model, requirements: Requirements) -> tuple[Artifact, ...] | Turned:
    """The files worth trying in the backend's format, or why there are none."""
    served = requirements.backend in ENGINES
    files = [a for a in model.artifacts if a.format == artifact_format(requirements.backend)]
    if not files and served:
        text = _("has no checkpoint in the catalog that {backend} reads")
        return Turned(text.format(backend=requirements.backend))
    if not files:
        return Turned(_("has no GGUF file, which llama.cpp and Ollama need"))
    if requirements.quantization:
        files = [a for a in files if a.quantization == requirements.quantization]
        if not files:
            text = _("is not offered as {quantization}")
            return Turned(text.format(quantization=requirements.quantization), requirements.quantization)
    elif model.kind is not ModelKind.CHAT:
        files = [a for a in files if a.quantization in _EIGHT_BITS_OR_MORE]
        if not files:
            return Turned(_("has no file of 8 bits or more, and embedders lose too much below that"))
    return tuple(files)


def artifact_format(backend: Backend | None) -> str:
    """The format of the files that an engine is given; None: llama.cpp."""
    if backend == "mlx":
        return "mlx"
    return "safetensors" if backend in ENGINES else "gguf"


_EIGHT_BITS_OR_MORE: Final = frozenset({"Q8_0", "F16", "BF16", "F32", "FP8", "INT8", "8bit"})
