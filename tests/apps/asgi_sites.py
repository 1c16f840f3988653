# SPDX-License-Identifier: MIT
"""The same small site in each ASGI framework: FastAPI on Starlette, Django,
Quart, Litestar. PROBE_TRACE names the file that background tasks write to."""

import asyncio
import os


def trace(text):
    with open(os.environ["PROBE_TRACE"], "a") as file:
        file.write(text + "\n")


async def numbers():
    for n in range(5):
        yield "data: %d\n\n" % n
        await asyncio.sleep(0.01)


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
    from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
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

    async def fail(request):
        raise ValueError("on purpose")

    class Urls:
        urlpatterns = [path("", root), path("sync", in_a_thread),
                       path("echo", echo), path("upload", upload),
                       path("events", events), path("fail", fail)]

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
    from quart import Quart, request, websocket

    app = Quart(__name__)

    @app.after_serving
    async def over():
        trace("quart over")

    @app.route("/")
    async def root():
        return {"state": None}

    @app.route("/echo", methods=["POST"])
    async def echo():
        return await request.get_data()

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
    from litestar.response import Response, Stream

    @get("/")
    async def root() -> dict:
        return {"state": None}

    @get("/sync", sync_to_thread=True)
    def in_a_thread() -> dict:
        return {"thread": True}

    @post("/echo", status_code=200)
    async def echo(request: Request) -> bytes:
        return await request.body()

    @get("/events")
    async def events() -> Stream:
        return Stream(numbers(), media_type="text/event-stream")

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

    return Litestar([root, in_a_thread, echo, events, later, fail, socket],
                    on_shutdown=[lambda: trace("litestar over")],
                    request_max_body_size=None)
