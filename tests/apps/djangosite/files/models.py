# SPDX-License-Identifier: MIT
from django.db import models


class Upload(models.Model):
    name = models.CharField(max_length=200)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    content = models.FileField(upload_to="uploads")
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return self.name
