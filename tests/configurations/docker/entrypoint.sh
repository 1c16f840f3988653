#!/bin/sh
set -e

echo "Applying migrations"
python3 manage.py migrate --noinput

exec gunicorn "${APP_MODULE:-mysite.wsgi:application}" "$@"
