# SPDX-License-Identifier: MIT
import hashlib

from django.db import connection
from django.http import (FileResponse, HttpResponse, JsonResponse,
                         StreamingHttpResponse)
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt

from .models import Upload


def index(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM files_upload")
        count = cursor.fetchone()[0]
    return HttpResponse("<h1>Django</h1><p>%d uploads in %s, %s</p>" % (
        count, connection.vendor, request.user))


@csrf_exempt
def upload(request):
    sent = request.FILES["file"]
    digest = hashlib.sha256()
    for piece in sent.chunks():
        digest.update(piece)
    row = Upload.objects.create(name=sent.name, size=sent.size,
                                sha256=digest.hexdigest(), content=sent)
    return JsonResponse({"id": row.pk, "size": row.size,
                         "sha256": row.sha256})


def download(request, pk):
    row = get_object_or_404(Upload, pk=pk)
    return FileResponse(row.content.open("rb"), filename=row.name)


def stream(request):
    return StreamingHttpResponse(("row %d\n" % i for i in range(1000)),
                                 content_type="text/plain")


def boom(request):
    raise RuntimeError("a Django view raises on purpose")
