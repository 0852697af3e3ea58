"""Asks Burgee over one WebSocket: an evaluation, a batch in binary, and the news. See README.md beside this."""
import json
import os
import struct
from collections import Counter

from websockets.sync.client import connect

FLAG = os.environ.get("FLAG", "new-checkout")
URL = os.environ.get("URL", "ws://localhost:8000/api/v1/ws")
prepared = []  # the lists of variants of our handle, oldest first


def next_message():
    received = socket.recv()
    if isinstance(received, bytes):
        return {"id": struct.unpack_from("<I", received, 4)[0], "bytes": received}
    message = json.loads(received)
    if message["type"] == "error":
        raise RuntimeError(message["message"])
    if message["type"] == "prepared":
        prepared.append(message)
    return message


def ask(id, request):
    socket.send(request if isinstance(request, bytes) else json.dumps({**request, "id": id}))
    while (message := next_message()).get("id") != id:
        pass
    return message


with connect(URL, additional_headers={"X-API-Key": os.environ["KEY"]}, max_size=None) as socket:
    results = ask(1, {"type": "evaluate", "user_id": "user-1", "flags": [FLAG]})["results"]
    print("user-1:", json.dumps(results[FLAG]), flush=True)

    handle = ask(2, {"type": "prepare", "flags": [FLAG]})["handle"]
    request = struct.pack("<BBHII", 1, 0, handle, 3, 1000)
    for user in (f"user-{i}".encode() for i in range(1000)):
        request += struct.pack("<H", len(user)) + user
    reply = ask(3, request)["bytes"]
    (revision,) = struct.unpack_from("<Q", reply, 16)
    # What it is read with: the latest lists whose revision is not above the reply's.
    variants = [lists for lists in prepared if lists["revision"] <= revision][-1]["flags"][0]["variants"]
    counts = Counter(variants[index] if index < len(variants) else "unknown" for index in reply[24:])
    print("of 1000 users:", json.dumps(counts), flush=True)

    ask(4, {"type": "subscribe", "user_id": "user-1", "flags": [FLAG]})
    print("subscribed: change the flag to see it, Ctrl-C ends", flush=True)
    while True:
        message = next_message()
        if message["type"] == "change":
            print("changed:", json.dumps(message["results"]), flush=True)
