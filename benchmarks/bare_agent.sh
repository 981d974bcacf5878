# The same work by hand: clone, an agent, commit, push, pull request; without any sandbox.
# Arguments: niceness of the agent, repository, branch, folder to work in, then a command that gives the agent its prompt.
# The token comes on standard input.
set -eu
niceness="$1" repository="$2" branch="$3" home="$4"
shift 4
export HOME="$home" GH_PROMPT_DISABLED=1 GH_NO_UPDATE_NOTIFIER=1
cd "$home"
gh auth login --with-token --hostname github.com --git-protocol https
gh auth setup-git --hostname github.com
git config --global user.name "The Octocat"
git config --global user.email "octocat@example.com"
git clone --quiet "https://github.com/$repository.git" repo
cd repo
git checkout --quiet -b "$branch"
# Also where the kernel shares time between sessions: sched(7), autogroup.
setsid --wait sh -c 'echo "$0" > /proc/self/autogroup || :; exec nice -n "$0" "$@"' "$niceness" "$@" < /dev/null
git add --all
git commit --quiet --message "bench"
git push --quiet --set-upstream origin "$branch"
gh pr create --draft --title bench --body bench --base main --head "$branch"
