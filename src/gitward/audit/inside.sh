# The hostile command of `gitward audit-token`: it collects all that code inside a sandbox can get hold of.
# What it learns lies below ~/.audit, a folder per channel, and is searched from outside while this command waits.
# It writes nothing to GitHub. Variables: PLANTED, PLANTED_BINARY (base64), AUDIT_REFLECTS.
set -u
out=$HOME/.audit
mkdir -p "$out"
repo=$(git remote get-url origin | sed -E 's,^https://[^/]+/,,; s,\.git$,,')
server=$(git remote get-url origin | sed -E 's,^(https://[^/]+)/.*,\1,')
host=${server#https://}
api=https://api.github.com
graphql=$api/graphql
if [ "$host" != github.com ]; then api=$server/api/v3 graphql=$server/api/graphql; fi
# In a file for curl, so that it is this command that shows it in no argument.
printf 'header = "Authorization: token %s"\n' "$(gh auth token --hostname "$host")" >"$out/curl"

record() { # CHANNEL NAME COMMAND...: what the command shows, with standard error
  mkdir -p "$out/$1"
  timeout 20 "${@:3}" >>"$out/$1/$2" 2>&1 </dev/null
}
planted() { # CHANNEL...: shows that what is recorded for it is searched
  local channel
  for channel; do mkdir -p "$out/$channel"; printf '%s\n' "$PLANTED" >"$out/$channel/planted"; done
}
ask() { # CHANNEL NAME CURL-ARGUMENTS...: a request with the credential
  record "$1" "$2" curl -isS --max-time 10 --path-as-is -K "$out/curl" "${@:3}"
}

# A process with the planted values in its arguments, and this one with them in its environment.
(exec -a "$PLANTED" sleep 300) &
sleeper=$!

# A file without a name that this process holds open.
printf '%s\n' "$PLANTED" >/tmp/nameless
exec 9</tmp/nameless
rm /tmp/nameless

record environment env env
record environment self cat /proc/self/environ
record environment shell bash -c 'declare -p; export -p; set'

processes() {
  local folder
  for folder in /proc/[0-9]*; do
    echo "== $folder"
    cat "$folder"/{cmdline,environ,comm,status,maps,mountinfo,cgroup,wchan} | tr '\0' '\n'
    ls -la "$folder/fd" "$folder/cwd" "$folder/root"
    for fd in "$folder"/fd/*; do [ -f "$fd" ] && head -c 262144 "$fd"; done
  done
  cat /proc/mounts /proc/net/tcp /proc/net/unix /proc/keys /proc/sys/kernel/core_pattern
}
export -f processes
record processes all bash -c processes

printf '%s\n' "$PLANTED" >/tmp/planted
printf '%s\n' "$PLANTED" >"$HOME/planted"
printf %s "$PLANTED_BINARY" | base64 -d >"$HOME/planted.bin"
mkdir -p /workspace/agent/audit
printf '%s\n' "$PLANTED" >/workspace/agent/audit/planted
printf %s "$PLANTED_BINARY" | base64 -d >/workspace/agent/audit/planted.bin
files() {
  find / -xdev -maxdepth 3 -not -path '/proc*' -ls
  find /etc /run /tmp /var /dev/shm /home /workspace -not -path "$HOME/.audit*" -not -path '/etc/ssl/certs/*' \
    -not -path '/workspace/repo/.git/*' -type f -size -256k -exec head -c 262144 {} + | head -c 33554432
}
export -f files
record files all bash -c files

git config audit.planted "$PLANTED"
record git-config list git config --list --show-origin --show-scope
record git-config files bash -c 'cat .git/config ~/.gitconfig /etc/gitconfig; git remote -v; git var -l'

record credentials token gh auth token --hostname "$host"
record credentials status gh auth status --show-token
record credentials gh bash -c 'head -c 65536 ~/.config/gh/* ~/.git-credentials ~/.netrc'
for name in "$host" "${api#https://}" "gist.$host"; do
  record credentials "fill $name" bash -c 'printf "protocol=https\nhost=%s\n\n" "$0" | git credential fill' "${name%%/*}"
done

record traces git env GIT_TRACE=1 GIT_TRACE_CURL=1 GIT_TRACE_REDACT=0 GIT_TRACE_PACKET=1 git fetch origin
record traces gh env GH_DEBUG=api gh api user
record traces curl curl -svS --max-time 10 -K "$out/curl" "$api/user"

own=$api/repos/$repo
ask rest answers "$api/" "$api/user" "$api/rate_limit" "$own" "$own/pulls?state=all" "$own/issues" "$own/commits" \
  "$own/contents/README.md" "$own/branches" "$own/actions/runs" "$own/releases" "$own/labels" "$own/contents"
query() { ask "$1" "$2" -X POST "$graphql" -H 'Content-Type: application/json' -d "$3"; }
query graphql viewer '{"query":"{viewer{login}}"}'
query graphql repository "{\"query\":\"{repository(owner:\\\"${repo%/*}\\\",name:\\\"${repo#*/}\\\"){id name}}\"}"
query graphql error '{"query":"{repository(owner:1,name:2){id}}"}'
query graphql broken '{"query":"{viewer{"}'
query graphql number "{\"query\":\"{repository(owner:\\\"${repo%/*}\\\",name:\\\"${repo#*/}\\\"){issue(number:999999999){id}}}\"}"

# What is refused, and what GitHub answers with an error. Reading only: this command may run against GitHub itself.
ask refusals paths "$api/user/keys" "$api/user/emails" "$own/keys" "$own/hooks" "$own/actions/secrets" "$api/gists" \
  "$own/collaborators" "$own/../other" "$own%2f..%2fother" "$api//user" "$api/repos/octocat/other" \
  "$own/environments" "$own/actions/runners" "$own/actions/runs/1/logs" "$api/orgs/github" "$server/settings/tokens" \
  "$server/$repo/archive/main.zip" "$server/octocat/other.git/info/refs?service=git-upload-pack"
ask refusals errors "$own/issues/999999999" "$own/contents/none" "$own/pulls/999999999" "$own/commits/0000000000000000000000000000000000000000"
ask refusals heads -H 'Host: evil.example' "$api/user"
ask refusals proxy --request-target "$api/user" "$api/user"
ask refusals old --http1.0 "$api/user"
ask refusals framing -H 'Transfer-Encoding: chunked' -H 'Content-Length: 5' "$api/user"
record refusals others curl -isS --max-time 10 -H 'Authorization: token ghp_wrong' "$api/user" "$api/user"
record refusals none curl -isS --max-time 10 "$api/user" "$server/$repo/info/refs?service=git-upload-pack"
record refusals fetch git ls-remote "$server/octocat/other"
record refusals gh gh api user/keys
record refusals log gh run view 1 --log

# Large files: the answer of a batch holds addresses and headers of a storage.
oid=$(printf %s "$repo" | sha256sum | cut -d' ' -f1)
media=application/vnd.git-lfs+json
batch() { # NAME OPERATION
  ask lfs "$1" -H "Accept: $media" -H "Content-Type: $media" -d \
    "{\"operation\":\"$2\",\"transfers\":[\"basic\"],\"objects\":[{\"oid\":\"$oid\",\"size\":9}]}" \
    "$server/$repo.git/info/lfs/objects/batch"
}
batch download download
[ -n "$AUDIT_REFLECTS" ] && batch upload upload # signed addresses; nothing is sent to them but by the stand-in's audit
href=$(grep -ho 'https://[^"]*/info/lfs/[^"]*' "$out/lfs/upload" 2>/dev/null | head -n 1)
[ -n "$href" ] && ask lfs put -X PUT --data-binary 123456789 "$href"
ask lfs locks "$server/$repo.git/info/lfs/locks"
ask lfs unknown "$server/$repo.git/info/lfs/gitward/none"
record lfs env git lfs env

# An upstream that repeats what it was sent, the planted values among it.
if [ -n "$AUDIT_REFLECTS" ]; then
  for status in 200 201 400 404 500; do
    ask reflections "rest $status" -A "reflect/$status $PLANTED" "$own/issues"
    ask reflections "graphql $status" -A "reflect/$status $PLANTED" -H 'Content-Type: application/json' \
      -d '{"query":"{viewer{login}}"}' "$graphql"
    ask reflections "fetch $status" -A "reflect/$status" "$server/$repo.git/info/refs?service=git-upload-pack"
    ask reflections "push $status" -A "reflect/$status" "$server/$repo.git/info/refs?service=git-receive-pack"
    ask reflections "pack $status" -A "reflect/$status" --data-binary 0000 "$server/$repo.git/git-upload-pack"
    ask reflections "lfs $status" -A "reflect/$status" -H "Content-Type: $media" -d \
      "{\"operation\":\"download\",\"objects\":[{\"oid\":\"$oid\",\"size\":9}]}" "$server/$repo.git/info/lfs/objects/batch"
  done
  for status in 301 302 307; do
    ask redirects "rest $status" -L --max-redirs 3 -A "reflect/$status $PLANTED" "$own/issues"
    ask redirects "fetch $status" -L --max-redirs 3 -A "reflect/$status" \
      "$server/$repo.git/info/refs?service=git-upload-pack"
  done
fi

planted environment processes files git-config credentials traces rest graphql refusals lfs

# The planted values in packed and in loose objects, and in a message.
mkdir -p planted
printf '%s\n' "$PLANTED" >planted/packed.txt
printf %s "$PLANTED_BINARY" | base64 -d >planted/packed.bin
git add planted && git commit -qm "$PLANTED" && git repack -dq
printf 'loose %s\n' "$PLANTED" >planted/loose.txt
{ printf 'loose'; printf %s "$PLANTED_BINARY" | base64 -d; } >planted/loose.bin
git add planted && git commit -qm 'Loose objects'
for _ in 1 2 3; do printf '%s\n' "$PLANTED"; done

held=$(gh auth token --hostname "$host") # in the memory of this process, where it is looked for

echo 'audit: waiting'
for _ in $(seq 2400); do  # each process outside is read meanwhile, which takes long on a busy machine
  [ -e "$out/go" ] && break
  sleep 0.1
done
kill "$sleeper"
[ -e "$out/go" ] || { echo 'audit: nobody came'; exit 1; }
echo 'audit: done'
