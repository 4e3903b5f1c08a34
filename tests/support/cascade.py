"""A cascaded system, speech recognition, a language model and a voice, answers the questions of a folder.

It needs Python alone. The three are servers with OpenAI's interfaces, such as whisper.cpp or vLLM, or a hosted API:

    python cascade.py FOLDER http://127.0.0.1:8001/v1 http://127.0.0.1:8002/v1 http://127.0.0.1:8003/v1
"""

import json
import os
import sys
import urllib.request
from functools import cache
from pathlib import Path

folder, (recognition, chat, voice) = Path(sys.argv[1]), sys.argv[2:5]


def post(url: str, kind: str, body: bytes) -> bytes:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return answer.read()


@cache
def words_of(sound: str) -> str:
    head = b'--cut\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    model, file = head % (b"model", b"whisper-1"), head % (b'file"; filename="a.wav', (folder / sound).read_bytes())
    form = model + file + b"--cut--\r\n"
    heard = post(f"{recognition}/audio/transcriptions", "multipart/form-data; boundary=cut", form)
    return json.loads(heard)["text"]


def in_words(content: str | list) -> str:
    """A message's content with the words of its sound in the place of clips."""
    if isinstance(content, str):
        return content
    said = [
        part["text"] if part["type"] == "text" else words_of(part["input_audio"]["data"])
        for part in content
        if part["type"] in ("text", "input_audio")
    ]
    return "\n".join(said)


(folder / "speech").mkdir(exist_ok=True)
with (folder / "answers.jsonl").open("w") as answers:
    for number, line in enumerate((folder / "requests.jsonl").open()):
        question = json.loads(line)
        messages = [{**message, "content": in_words(message["content"])} for message in question["messages"]]
        asked = {"model": "llm", "messages": messages, "max_tokens": question["generation"]["max_new_tokens"]}
        completion = post(f"{chat}/chat/completions", "application/json", json.dumps(asked).encode())
        text = json.loads(completion)["choices"][0]["message"]["content"]
        answer = {"item": question["item"], "task": question["task"], "text": text}
        if question["output"] == "speech":
            answer["speech"] = f"speech/{number}.wav"
            said = {"model": "tts", "voice": "alloy", "input": text, "response_format": "wav"}
            sound = post(f"{voice}/audio/speech", "application/json", json.dumps(said).encode())
            (folder / answer["speech"]).write_bytes(sound)
        print(json.dumps(answer), file=answers, flush=True)
