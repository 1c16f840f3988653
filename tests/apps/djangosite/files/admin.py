# SPDX-License-Identifier: MIT
from django.contrib import admin

from .models import Upload

admin.site.register(Upload, list_display=("name", "size", "at"))
