"""Engines that serve checkpoints of the hub (vLLM, SGLang, MLX, transformers, ONNX Runtime): their memory.

`engines.serve` finds the plan that fits and `engines.engine_memory` states what one plan needs, with the pool
that the engine takes; `formats.engine_weights` is what it loads, `speed.EngineSpeed` how fast it serves.
"""
