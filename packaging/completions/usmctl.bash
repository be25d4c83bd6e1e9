# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for usmctl(1)

_usmctl()
{
	local cur prev word command=
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}

	for word in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
		case $word in
		status | show | check) command=$word ;;
		esac
	done

	COMPREPLY=()
	case $prev in
	--socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--timeout)
		return
		;;
	esac

	case $cur in
	-*)
		mapfile -t COMPREPLY < <(compgen -W \
			'--json --quiet --socket --timeout --help --version' -- "$cur")
		return
		;;
	esac

	case $command in
	'')
		mapfile -t COMPREPLY < <(compgen -W 'status show check' -- "$cur")
		;;
	show)
		# Asked of usmd: silent where it does not run or may not be asked.
		mapfile -t COMPREPLY < <(compgen -W \
			"$(usmctl status --quiet --timeout 1 2>/dev/null)" -- "$cur")
		;;
	check)
		if [[ $cur == @* ]]; then
			mapfile -t COMPREPLY < <(compgen -P @ -f -- "${cur#@}")
		fi
		;;
	esac
}

complete -F _usmctl usmctl
