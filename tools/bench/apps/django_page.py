# SPDX-License-Identifier: MIT
"""django_page - a Django page: the middleware that startproject sets up, one
query for 20 rows to PostgreSQL over a kept connection, one template.

The connection's parameters come from libpq's own variables (PGHOST, ...).
Run as a program it makes the table and fills it.
"""
import os
from pathlib import Path

import django
from django.conf import settings

HERE = Path(__file__).resolve().parent
MIDDLEWARE = [
    'django.middleware.security.SecurityMiddleware',
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.middleware.common.CommonMiddleware',
    'django.middleware.csrf.CsrfViewMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'django.contrib.messages.middleware.MessageMiddleware',
    'django.middleware.clickjacking.XFrameOptionsMiddleware',
]


def configure():
    settings.configure(
        ALLOWED_HOSTS=['127.0.0.1'],
        DATABASES={'default': {
            'ENGINE': 'django.db.backends.postgresql',
            'NAME': os.environ.get('PGDATABASE', 'postgres'),
            'CONN_MAX_AGE': None,
        }},
        INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes',
                        'django.contrib.sessions', 'django.contrib.messages'],
        MIDDLEWARE=MIDDLEWARE,
        ROOT_URLCONF=__name__,
        SECRET_KEY='not a secret: nothing is signed here',
        TEMPLATES=[{
            'BACKEND': 'django.template.backends.django.DjangoTemplates',
            'DIRS': [HERE / 'templates'],
        }],
        USE_TZ=True)
    django.setup()


if not settings.configured:
    configure()

# Models and views can only be defined once the settings are there.
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402


class Item(models.Model):
    name = models.CharField(max_length=80)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.IntegerField(db_index=True)

    class Meta:
        app_label = 'bench'
        db_table = 'bench_item'


def items(request):
    rows = Item.objects.filter(stock__gte=40).order_by('stock', 'id')[:20]
    return render(request, 'items.html', {'items': rows})


def fill():
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    Item.objects.bulk_create(
        Item(name=f'item {i}', price=i / 100, stock=i % 97)
        for i in range(1000))


urlpatterns = [path('', items)]
app = get_wsgi_application()

if __name__ == '__main__':
    fill()
