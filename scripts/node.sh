#!/bin/sh
# Runs a script with Node.js. Checks the version first, because an older Node.js fails with a syntax error in the script.
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
# A user in a container or a service may have no writable home; use one here for the cache of npm and the logs of ROS 2.
if [ -n "${HOME:-}" ] && [ ! -w "$HOME" ]; then
  HOME=$(cd -- "$(dirname -- "$0")/.." && pwd)/.pi05/home
  mkdir -p "$HOME" 2>/dev/null || HOME=$(mktemp -d)
  export HOME
  unset npm_config_cache # `npm run` sets it to the one in the old home
fi
exec node "$@"
