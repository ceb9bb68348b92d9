# Completion of pgha's command line for bash.
#
# Source it, or let bash-completion find it: it looks for the file "pgha" in
# /usr/share/bash-completion/completions, where `make install` puts it.

# The words of the command line that say where to connect to, into the array
# `connection`, while the node is the word under the cursor.
_pgha_connection()
{
	local i word
	connection=()
	for ((i = 2; i < ${#words[@]}; i++)); do
		((i == cword)) && continue
		word=${words[i]}
		case $word in
			-h | -p | -U | -d | -D | -c | --host | --port | --username | --dbname | --pgdata | --config | --cluster)
				((i + 1 < ${#words[@]} && i + 1 != cword)) && connection+=("$word" "${words[i + 1]}")
				((i++))
				;;
			-h* | -p* | -U* | -d* | -D* | -c* | --host=* | --port=* | --username=* | --dbname=* | --pgdata=* | --config=* | --cluster=*) connection+=("$word") ;;
			-m | -t | --method | --color | --timeout) ((i++)) ;;
			-*) ;;
			*) connection+=("$(_pgha_unquote "$word")") ;;
		esac
	done
}

# Takes simple quotes off: 'host=db-1,db-2 user=pgha'
_pgha_unquote()
{
	local text=$1
	[[ $text == \'*\' || $text == \"*\" ]] && text=${text:1:${#text}-2}
	printf '%s' "$text"
}

# Offers those of the words after the first that begin with the first.  Nothing
# of them is expanded, as `compgen -W` would do with $(...) in a name that a
# server has sent; and what has other characters than names and options is no
# word for a command line, nor for a terminal.
_pgha_offer()
{
	local LC_ALL=C begin=$1 word
	COMPREPLY=()
	shift
	for word in "$@"; do
		[[ $word =~ ^[A-Za-z0-9._=:-]+$ && ${word:0:${#begin}} == "$begin" ]] && COMPREPLY+=("$word")
	done
	return 0
}

# Members into the array `nodes`; quiet.  Without a connection those of this
# host's files, else those that do not lead, as far as any member that answers knows.
_pgha_nodes()
{
	local LC_ALL=C connection json line primary= inside=
	nodes=()
	_pgha_connection
	if ((${#connection[@]} == 0)); then
		while IFS= read -r line; do
			[[ $line =~ ^[A-Za-z0-9_.][A-Za-z0-9_.-]*$ ]] && nodes+=("$line")
		done < <(PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-2} "$(_pgha_unquote "${words[0]/#\~\//$HOME/}")" uri --names 2> /dev/null < /dev/null)
		((${#nodes[@]} > 0)) && return
	fi
	json=$(PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-2} "$(_pgha_unquote "${words[0]/#\~\//$HOME/}")" status --json "${connection[@]}" 2> /dev/null < /dev/null) || [[ -n $json ]] || return
	while IFS= read -r line; do
		if [[ $line =~ ^'  "primary": "'([A-Za-z0-9_.][A-Za-z0-9_.-]*)'"' ]]; then
			primary=${BASH_REMATCH[1]}
		elif [[ $line == '  "members": ['* ]]; then
			inside=yes
		elif [[ $line == '  ]'* ]]; then
			inside=
		elif [[ $inside && $line =~ ^'      "node": "'([A-Za-z0-9_.][A-Za-z0-9_.-]*)'"' ]]; then
			nodes+=("${BASH_REMATCH[1]}")
		fi
	done <<< "$json"
	for line in "${!nodes[@]}"; do
		[[ ${nodes[line]} == "$primary" ]] && unset "nodes[$line]"
	done
}

# Network interfaces of this host into the array `interfaces`.
_pgha_interfaces()
{
	local path
	interfaces=()
	for path in /sys/class/net/*; do
		[[ -L $path ]] && interfaces+=("${path##*/}")
	done
}

# Has the node been named before the cursor?
_pgha_node_named()
{
	local i
	for ((i = 2; i < cword; i++)); do
		case ${words[i]} in
			-h | -p | -U | -d | -D | -c | -m | -t | --host | --port | --username | --dbname | --pgdata | --config | --cluster | --method | --color | --timeout) ((i++)) ;;
			-*) ;;
			*) return 0 ;;
		esac
	done
	return 1
}

# Puts the words of the line together again that readline has split at "=" and ":".
_pgha_words()
{
	local i
	words=()
	cword=0
	for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
		if ((i > 0)) && [[ ${COMP_WORDS[i]} == [=:]* || ${COMP_WORDS[i - 1]} == [=:] ]]; then
			words[-1]+=${COMP_WORDS[i]}
		else
			words+=("${COMP_WORDS[i]}")
		fi
		((i == COMP_CWORD)) && cword=$((${#words[@]} - 1))
	done
}

_pgha()
{
	local words cword current previous value options nodes interfaces hosts
	local connection_options='--host= --port= --username= --dbname= --pgdata= --config= --cluster='

	_pgha_words
	current=${words[cword]}
	previous=
	((cword > 0)) && previous=${words[cword - 1]}
	COMPREPLY=()

	if ((cword <= 1)); then
		_pgha_offer "$current" status explain events pause resume switchover restart promote recover doctor check uri agent create join leave witness vip help --help --version
		return
	fi

	# Values of options, as "--option value", "--option=value" and "-o value".
	value=$current
	if [[ $current == --*=* ]]; then
		previous=${current%%=*}
		value=${current#*=}
	fi
	case $previous in
		--color)
			_pgha_offer "$value" auto always never
			return
			;;
		-m | --method)
			_pgha_offer "$value" auto start rewind clone
			return
			;;
		-D | --pgdata)
			mapfile -t COMPREPLY < <(compgen -d -- "$value")
			compopt -o filenames 2> /dev/null
			return
			;;
		-c | --config | --pgpool-conf | --pwfile)
			mapfile -t COMPREPLY < <(compgen -f -- "$value")
			compopt -o filenames 2> /dev/null
			return
			;;
		-h | --host)
			mapfile -t hosts < <(compgen -A hostname -- "$value")
			_pgha_offer "$value" "${hosts[@]}"
			return
			;;
		-U | --username)
			_pgha_offer "$value" postgres pgha
			return
			;;
		--role)
			_pgha_offer "$value" primary standby any
			return
			;;
		--kind)
			_pgha_offer "$value" local ec2 ec2-elastic ec2-route
			return
			;;
		-i | --interface)
			_pgha_interfaces
			_pgha_offer "$value" "${interfaces[@]}"
			return
			;;
		-m | --members | -w | --witnesses | --node | --name | --conninfo | --cluster | --listen | --allow | -s | --set) return ;;
		--prefix | --allocation | --tables | --region | --profile | --ec2-endpoint | --imds-endpoint | --timeout) return ;;
		--redundancy | --replay-lag | --sync | --slots | --lost | --pause) [[ $current == --*=* || $previous == --re* ]] && return ;;
		-p | -d | -t | --port | --dbname | --limit) return ;;
		-n) [[ ${words[1]} == events ]] && return ;;
		--watch) [[ $current == --watch=* ]] && return ;;
	esac

	case ${words[1]} in
		status) value="--json --watch --wide --color= $connection_options" ;;
		explain) value="--json $connection_options" ;;
		events) value="--json --limit= $connection_options" ;;
		pause | resume) value=$connection_options ;;
		switchover) value="--timeout= $connection_options" ;;
		restart) value="--rolling --force --timeout= $connection_options" ;;
		promote) value="--force --accept-loss $connection_options" ;;
		recover) value="--method= --color= $connection_options" ;;
		doctor) value="--all --json --pgdata= --config= --pgpool-conf= --color= $connection_options" ;;
		check) value="--role= --primary --state --gate --quorum --members --redundancy= --replay-lag= --sync --slots --agents --recoveries --lost --address --settings --pause --all --timeout= --verbose --json $connection_options" ;;
		uri) value="--libpq --dsn --jdbc --names --standby --read-only --address $connection_options" ;;
		agent) value='--pgdata= --config= --check' ;;
		create) value='--pgdata= --cluster= --node= --members= --witnesses= --name= --allow= --pwfile= --set= --dry-run --yes' ;;
		leave) value='--pgdata= --cluster= --drop --force --dry-run --yes' ;;
		join) value='--pgdata= --cluster= --node= --from= --address= --pwfile= --allow= --set= --replace-data --dry-run --yes' ;;
		witness) value='--pgdata= --node= --from= --members= --witnesses= --host= --port= --pwfile= --conninfo= --cluster= --listen= --allow= --set= --start' ;;
		vip) value='--config= --dry-run --if-free --kind= --interface= --prefix= --allocation= --tables= --region= --profile= --ec2-endpoint= --imds-endpoint= --insecure --timeout=' ;;
		help)
			_pgha_offer "$current" status explain events pause resume switchover restart promote recover doctor check uri agent create join leave witness vip
			return
			;;
		*) return ;;
	esac
	if [[ $current == -* ]]; then
		read -ra options <<< "$value --help"
		_pgha_offer "$current" "${options[@]}"
		# No space after what still needs a value.
		[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2> /dev/null
	elif [[ ${words[1]} =~ ^(recover|switchover|restart|status|explain|events|promote|pause|resume|doctor)$ ]] && ! _pgha_node_named; then
		_pgha_nodes
		_pgha_offer "$current" "${nodes[@]}"
	elif [[ ${words[1]} == witness && $cword == 2 ]]; then
		_pgha_offer "$current" init
	elif [[ ${words[1]} == vip && $cword == 2 ]]; then
		_pgha_offer "$current" up down show announce
	fi
	return 0
}

complete -F _pgha pgha
