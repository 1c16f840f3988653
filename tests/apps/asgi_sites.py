# SPDX-License-Identifier: MIT
"""The same small site in each ASGI framework: Starlette, FastAPI, Django,
Quart, Litestar. PROBE_TRACE names the file that background tasks write to."""

import asyncio
import os
from typing import Annotated


def trace(text):
    with open(os.environ["PROBE_TRACE"], "a") as file:
        file.write(text + "\n")


async def numbers():
    for n in range(5):
        yield "data: %d\n\n" % n
        await asyncio.sleep(0.01)


async def endless(name):
    """Until the client has left."""
    try:
        while True:
            yield "data: more\n\n"
            await asyncio.sleep(0.01)
    finally:
        trace(name + " left")


def starlette():
    import contextlib

    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.endpoints import WebSocketEndpoint
    from starlette.responses import FileResponse, JSONResponse
    from starlette.responses import StreamingResponse
    from starlette.routing import Route, WebSocketRoute

    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield {"from": "lifespan"}
        trace("starlette over")

    async def root(request):
        return JSONResponse({"state": request.state._state.get("from")})

    def in_a_thread(request):
        return JSONResponse({"thread": True})

    async def echo(request):
        return StreamingResponse(iter([await request.body()]))

    async def stream(request):
        return StreamingResponse(request.stream())

    async def upload(request):
        async with request.form() as form:
            file = form["file"]
            return JSONResponse({"name": file.filename,
                                 "size": len(await file.read())})

    async def events(request):
        return StreamingResponse(numbers(), media_type="text/event-stream")

    async def forever(request):
        return StreamingResponse(endless("starlette"))

    async def file(request):
        return FileResponse(__file__)

    async def later(request):
        return JSONResponse({}, background=BackgroundTask(trace,
                                                          "starlette later"))

    async def fail(request):
        raise ValueError("on purpose")

    class Upper(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, ws, text):
            await ws.send_text(text.upper())

    return Starlette(lifespan=lifespan, routes=[
        Route("/", root), Route("/sync", in_a_thread),
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]), Route("/events", events),
        Route("/endless", forever), Route("/file", file),
        Route("/later", later), Route("/fail", fail),
        WebSocketRoute("/ws", Upper)])


def fastapi():
    import contextlib

    from fastapi import BackgroundTasks, FastAPI, File, Request, UploadFile
    from fastapi import WebSocket
    from fastapi.responses import FileResponse, StreamingResponse

    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield {"from": "lifespan"}
        trace("fastapi over")

    app = FastAPI(lifespan=lifespan)

    @app.middleware("http")
    async def mark(request, call_next):
        response = await call_next(request)
        response.headers["X-Middleware"] = "yes"
        return response

    @app.get("/")
    async def root(request: Request):
        return {"state": request.state._state.get("from")}

    @app.get("/sync")
    def in_a_thread():
        return {"thread": True}

    @app.post("/echo")
    async def echo(request: Request):
        return StreamingResponse(iter([await request.body()]))

    @app.post("/stream")
    async def stream(request: Request):
        return StreamingResponse(request.stream())

    @app.post("/upload")
    async def upload(file: UploadFile = File()):
        return {"name": file.filename, "size": len(await file.read())}

    @app.get("/events")
    async def events():
        return StreamingResponse(numbers(), media_type="text/event-stream")

    @app.get("/endless")
    async def forever():
        return StreamingResponse(endless("fastapi"))

    @app.get("/file")
    async def file():
        return FileResponse(__file__)

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(trace, "fastapi later")
        return {}

    @app.get("/fail")
    async def fail():
        raise ValueError("on purpose")

    @app.websocket("/ws")
    async def socket(ws: WebSocket):
        await ws.accept()
        async for text in ws.iter_text():
            await ws.send_text(text.upper())

    return app


def django():
    import django.conf
    from django.core.asgi import get_asgi_application
    from django.http import FileResponse, HttpResponse, JsonResponse
    from django.http import StreamingHttpResponse
    from django.urls import path

    async def root(request):
        return JsonResponse({"state": None})

    def in_a_thread(request):
        return JsonResponse({"thread": True})

    def echo(request):
        return HttpResponse(request.body)

    async def upload(request):
        file = request.FILES["file"]
        return JsonResponse({"name": file.name, "size": file.size})

    async def events(request):
        return StreamingHttpResponse(numbers(),
                                     content_type="text/event-stream")

    async def forever(request):
        return StreamingHttpResponse(endless("django"))

    def file(request):
        return FileResponse(open(__file__, "rb"))

    async def fail(request):
        raise ValueError("on purpose")

    class Urls:
        urlpatterns = [path("", root), path("sync", in_a_thread),
                       path("echo", echo), path("upload", upload),
                       path("events", events), path("endless", forever),
                       path("file", file), path("fail", fail)]

    django.conf.settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, SECRET_KEY="tests",
        DATA_UPLOAD_MAX_MEMORY_SIZE=None)
    http = get_asgi_application()

    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter

    class Upper(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data=text_data.upper())

    return ProtocolTypeRouter({
        "http": http,
        "websocket": URLRouter([path("ws", Upper.as_asgi())])})


def quart():
    from quart import Quart, request, send_file, websocket

    app = Quart(__name__)
    started = {}

    @app.before_serving
    async def before():
        started["from"] = "lifespan"

    @app.after_serving
    async def over():
        trace("quart over")

    @app.route("/")
    async def root():
        return {"state": started.get("from")}

    @app.route("/sync")
    def in_a_thread():
        return {"thread": True}

    @app.route("/echo", methods=["POST"])
    async def echo():
        return await request.get_data()

    @app.route("/stream", methods=["POST"])
    async def stream():
        async def pieces(body):
            async for piece in body:
                yield piece
        return pieces(request.body)

    @app.route("/file")
    async def file():
        return await send_file(__file__)

    @app.route("/endless")
    async def forever():
        async def encoded():
            async for text in endless("quart"):
                yield text.encode()
        return encoded()

    @app.route("/upload", methods=["POST"])
    async def upload():
        file = (await request.files)["file"]
        return {"name": file.filename, "size": len(file.read())}

    @app.route("/events")
    async def events():
        async def encoded():
            async for text in numbers():
                yield text.encode()
        return encoded(), {"Content-Type": "text/event-stream"}

    @app.route("/later")
    async def later():
        async def work():
            trace("quart later")
        app.add_background_task(work)
        return {}

    @app.route("/fail")
    async def fail():
        raise ValueError("on purpose")

    @app.websocket("/ws")
    async def socket():
        while True:
            await websocket.send((await websocket.receive()).upper())

    return app


def litestar():
    from litestar import Litestar, Request, WebSocket, get, post
    from litestar import websocket
    from litestar.background_tasks import BackgroundTask
    from litestar.datastructures import State, UploadFile
    from litestar.enums import RequestEncodingType
    from litestar.params import Body
    from litestar.response import File, Response, Stream

    def begin(app):
        app.state.began = "lifespan"

    @get("/")
    async def root(state: State) -> dict:
        return {"state": state.began}

    @get("/sync", sync_to_thread=True)
    def in_a_thread() -> dict:
        return {"thread": True}

    @post("/echo", status_code=200)
    async def echo(request: Request) -> bytes:
        return await request.body()

    @post("/stream", status_code=200)
    async def stream(request: Request) -> Stream:
        return Stream(request.stream())

    @post("/upload", status_code=200)
    async def upload(data: Annotated[UploadFile, Body(
            media_type=RequestEncodingType.MULTI_PART)]) -> dict:
        return {"name": data.filename, "size": len(await data.read())}

    @get("/events")
    async def events() -> Stream:
        return Stream(numbers(), media_type="text/event-stream")

    @get("/endless")
    async def forever() -> Stream:
        return Stream(endless("litestar"))

    @get("/file")
    async def file() -> File:
        return File(__file__)

    @get("/later")
    async def later() -> Response:
        return Response({}, background=BackgroundTask(trace, "litestar later"))

    @get("/fail")
    async def fail() -> None:
        raise ValueError("on purpose")

    @websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_data():
            await socket.send_text(text.upper())

    return Litestar([root, in_a_thread, echo, stream, upload, events, forever,
                     file, later, fail, socket], on_startup=[begin],
                    on_shutdown=[lambda: trace("litestar over")],
                    request_max_body_size=None)
