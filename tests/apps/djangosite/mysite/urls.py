# SPDX-License-Identifier: MIT
from django.contrib import admin
from django.urls import path

from files import views

urlpatterns = [
    path("", views.index),
    path("admin/", admin.site.urls),
    path("upload/", views.upload),
    path("download/<int:pk>/", views.download),
    path("stream/", views.stream),
    path("boom/", views.boom),
]
