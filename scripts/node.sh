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
# Without a home to write to, as a container's user or a service may be, npm's cache and ROS 2's logs get one here.
if [ -n "${HOME:-}" ] && [ ! -w "$HOME" ]; then
  HOME=$(cd -- "$(dirname -- "$0")/.." && pwd)/.pi05/home
  mkdir -p "$HOME" 2>/dev/null || HOME=$(mktemp -d)
  export HOME
  unset npm_config_cache # `npm run` names the one in the old home
fi
exec node "$@"
