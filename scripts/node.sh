#!/bin/sh
# Node.js on a script, or one sentence: an older one would stop at the script's syntax before it could say so itself.
wanted=20.20
if ! version=$(node --version 2>/dev/null); then
  echo "ENVIRONMENT: Expected Node.js $wanted or later on PATH, found none: install one from nodejs.org." >&2
  exit 2
fi
number=${version#v}
major=${number%%.*}
minor=${number#*.}
minor=${minor%%.*}
if [ "$major" -lt "${wanted%.*}" ] || { [ "$major" -eq "${wanted%.*}" ] && [ "$minor" -lt "${wanted#*.}" ]; }; then
  echo "ENVIRONMENT: Expected Node.js $wanted or later, found $number ($(command -v node)): install a newer one from nodejs.org." >&2
  exit 2
fi
exec node "$@"
