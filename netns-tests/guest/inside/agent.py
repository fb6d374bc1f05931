#!/usr/bin/python3
"""Runs commands in the guest for the tests outside, one for each TCP connection to port 1.

Frames in both directions: a type byte, a length of four bytes (big endian), that many bytes.
From the test:  R the command, as a JSON list of strings, first and once; I bytes for its standard input; E the end of
                that; K a signal's number in decimal, for the command and its children.
To the test:    O bytes of standard output; S bytes of standard error; X the exit status in decimal, or 128 and the
                number of the signal that ended it; nothing follows.
A connection that closes kills its command.
"""
import asyncio
import json
import os
import signal
import struct


async def frames(reader):
    while True:
        try:
            kind, length = struct.unpack(">cI", await reader.readexactly(5))
            yield kind, await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return


def send(writer, kind, data):
    writer.write(struct.pack(">cI", kind, len(data)) + data)


async def forward(stream, writer, kind):
    while data := await stream.read(65536):
        send(writer, kind, data)
        await writer.drain()


def kill(child, number):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


async def obey(incoming, child):
    async for kind, data in incoming:
        if kind == b"I":
            child.stdin.write(data)
        elif kind == b"E":
            child.stdin.close()
        elif kind == b"K":
            kill(child, int(data))


async def finish(child, outputs):
    code = await child.wait()
    # A grandchild may hold the pipes open; it is not waited for.
    await asyncio.wait(outputs, timeout=0.5)
    return code


async def serve(reader, writer):
    incoming = frames(reader)
    _, request = await anext(incoming)
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(
            *json.loads(request), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        send(writer, b"S", f"agent: {error}\n".encode())
        send(writer, b"X", b"127")
        writer.close()
        return
    outputs = [asyncio.create_task(forward(child.stdout, writer, b"O")),
               asyncio.create_task(forward(child.stderr, writer, b"S"))]
    orders = asyncio.create_task(obey(incoming, child))
    end = asyncio.create_task(finish(child, outputs))
    try:
        await asyncio.wait([orders, end], return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            code = end.result()
            send(writer, b"X", b"%d" % (code if code >= 0 else 128 - code))
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        kill(child, signal.SIGKILL)
        for task in [orders, end, *outputs]:
            task.cancel()
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "::", 1)
    print("agent: ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
