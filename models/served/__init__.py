"""Models behind a server that speaks OpenAI's chat protocol: vLLM, vLLM-Omni, SGLang, hosted APIs."""
