# The same work by hand: what a shell script does with gh and git, without any sandbox.
# Arguments: repository, branch, folder to work in. The token comes on standard input.
set -eu
export HOME="$3" GH_PROMPT_DISABLED=1 GH_NO_UPDATE_NOTIFIER=1
cd "$3"
gh auth login --with-token --hostname github.com --git-protocol https
gh auth setup-git --hostname github.com
git config --global user.name "The Octocat"
git config --global user.email "octocat@example.com"
git clone --quiet "https://github.com/$1.git" repo
cd repo
git checkout --quiet -b "$2"
echo bench >> README.md
git add --all
git commit --quiet --message "bench"
git push --quiet --set-upstream origin "$2"
gh pr create --draft --title bench --body bench --base main --head "$2"
