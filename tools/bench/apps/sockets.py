# SPDX-License-Identifier: MIT
"""WebSockets: /broadcast goes to all that are open, else an echo."""
import os

BROADCAST = os.environ.get('SOCKETS_MODE') == 'broadcast'
everybody = set()


async def talk(receive, send):
    while True:
        message = await receive()
        if message['type'] != 'websocket.receive':
            return
        answer = {'type': 'websocket.send', 'text': message['text']}
        if not BROADCAST:
            await send(answer)
            continue
        for other in everybody:
            await other(answer)


async def app(scope, receive, send):
    assert scope['type'] == 'websocket'
    await receive()
    await send({'type': 'websocket.accept'})
    everybody.add(send)
    try:
        await talk(receive, send)
    finally:
        everybody.discard(send)
