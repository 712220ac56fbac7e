#!/bin/sh
# Restores a base backup and sets up recovery to a point in time, with nothing but a shell, mkdir, ln, zstd and tar.
#
#     stock-restore.sh ARCHIVE/CLUSTER/SYSTEM_IDENTIFIER BACKUP_ID DIRECTORY TIME TIMELINE
#
# Tablespaces go where they were, as the backup's tablespace_map says. Start PostgreSQL on DIRECTORY afterwards.
set -eu
cluster=$1 id=$2 directory=$3 time=$4 timeline=$5
backup=$cluster/base/$id

# Unpacks the parts of the data directory ("null") or of the tablespace with this oid into a directory.
unpack() {
  name=
  while read -r key value; do
    value=${value%,}
    case $key in
      '"name":') name=${value#\"} name=${name%\"} ;;
      '"tablespace":')
        [ "$value" = "$1" ] || continue
        zstd -tq "$backup/$name"
        zstd -dcq "$backup/$name" | tar -x -p -f - -C "$2"
        ;;
    esac
  done <"$backup/backup.json"
}

mkdir -m 700 "$directory"
unpack null "$directory"
if [ -f "$directory/tablespace_map" ]; then
  while read -r oid location; do
    mkdir -m 700 -p "$location"
    unpack "$oid" "$location"
    ln -s "$location" "$directory/pg_tblspc/$oid"
  done <"$directory/tablespace_map"
fi
zstd -dcq "$backup/backup_manifest.zst" >"$directory/backup_manifest"

# What an earlier recovery left goes: two targets would keep the server from starting.
settings=$directory/postgresql.auto.conf
kept=$(
  while IFS= read -r line; do
    case $line in
      recovery_* | restore_command* | archive_mode* | archive_cleanup_command* | primary_*) ;;
      *) printf '%s\n' "$line" ;;
    esac
  done <"$settings"
)
# The first 16 digits of a segment's name are its directory in the archive.
{
  printf '%s\n' "$kept"
  echo "archive_mode = off"
  echo "recovery_target_time = '$time'"
  echo "recovery_target_timeline = '$timeline'"
  echo "recovery_target_action = promote"
  echo "restore_command = 'f=%f; case \$f in *.history) d=history ;; *) d=\${f%%????????} ;; esac; zstd -dcq \"$cluster/wal/\$d/\$f.zst\" >\"%p\"'"
} >"$settings"
: >"$directory/recovery.signal"
