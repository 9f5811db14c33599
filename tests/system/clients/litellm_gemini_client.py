"""LiteLLM's library asking by Gemini's own dialect: what it heard, plain and streamed, as JSON."""

from __future__ import annotations

import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

base, model = sys.argv[1:]
ASKED = {
    "model": model,
    "api_base": base,
    "api_key": "unused",
    "messages": [{"role": "user", "content": "Say hello"}],
}

plain = litellm.completion(**ASKED)
chunks = list(litellm.completion(**ASKED, stream=True))
heard = {
    "plain": plain.choices[0].message.content,
    "stream": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
}
sys.stdout.write(json.dumps(heard))
