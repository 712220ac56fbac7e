/** One connection to a server. The only module that loads `pg`, so that executables that need no server do without. */
import { platform, userInfo } from 'node:os'
import pg from 'pg'
import { errno, reasonOf, SeawallError } from '../core/errors.ts'
import type { Postmaster } from './postmaster.ts'

export interface ConnectOptions {
  /** `--dsn`, a URL. Where it and the PG* variables are silent, what follows holds. */
  readonly dsn?: string | undefined
  /** The server of the data directory: its socket directory and port. */
  readonly postmaster?: Postmaster | undefined
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
  /** Milliseconds. Default: 15 s. */
  readonly timeout?: number
  /** Ends the connection when aborted; what is under way then fails with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface Connection {
  /** For messages: user, host, port and database, without a password. */
  readonly name: string
  /** Aborted, with the error as its reason, when the server or the network ends the connection. */
  readonly lost: AbortSignal
  /**
   * Runs one statement; int8, numeric, LSN and text come as strings.
   * @throws SeawallError `postgres`
   */
  query<Row extends pg.QueryResultRow>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>
  /** Ends the connection, and with it a backup under way on the server. Never throws. */
  close(): Promise<void>
}

/**
 * Connects: by the DSN, else the PG* variables, else to the socket and port of the data directory's server; database
 * `postgres` and the operating system's user where nobody says otherwise. No statement or idle timeout applies.
 * @throws SeawallError `usage` for a DSN that is no URL, `postgres` if the server cannot be reached.
 */
export async function connect({
  dsn,
  postmaster,
  applicationName,
  timeout = 15_000,
  signal,
}: ConnectOptions): Promise<Connection> {
  signal?.throwIfAborted()
  // Here pg looks last, after the DSN and the PG* variables.
  pg.defaults.host = postmaster?.socketDirectory ?? 'localhost'
  pg.defaults.port = postmaster?.port ?? 5432
  pg.defaults.user = userInfo().username
  pg.defaults.database = 'postgres'

  const client = createClient(dsn, {
    application_name: applicationName,
    connectionTimeoutMillis: timeout,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
  })
  const name = `${client.user}@${client.host}:${client.port}/${client.database}`
  const lost = new AbortController()
  client.on('error', (cause) => lost.abort(postgresError('stay connected to', name, cause)))
  const close = () => end(client)
  signal?.addEventListener('abort', close, { once: true })
  try {
    await client.connect()
    await disableTimeouts(client)
  } catch (cause) {
    await close()
    signal?.throwIfAborted()
    throw postgresError('connect to', name, cause)
  }
  return {
    name,
    lost: lost.signal,
    query: async <Row extends pg.QueryResultRow>(sql: string, parameters: readonly unknown[] = []) => {
      signal?.throwIfAborted()
      lost.signal.throwIfAborted()
      try {
        return (await client.query<Row>(sql, [...parameters])).rows
      } catch (cause) {
        signal?.throwIfAborted()
        throw postgresError('query', name, cause)
      }
    },
    close,
  }
}

function createClient(dsn: string | undefined, config: pg.ClientConfig): pg.Client {
  if (dsn !== undefined && !/^postgres(ql)?:\/\//.test(dsn)) throw badDsn()
  try {
    return new pg.Client(dsn === undefined ? config : { ...config, connectionString: dsn })
  } catch (cause) {
    throw badDsn(cause)
  }
}

/** The DSN may hold a password, so it is not repeated. */
function badDsn(cause?: unknown): SeawallError {
  return new SeawallError('usage', {
    operation: 'understand',
    object: '--dsn',
    reason: cause === undefined ? 'it is no connection URL' : `it is no valid connection URL: ${reasonOf(cause)}`,
    hint: 'Write it as postgresql://user@host:port/database, or postgresql:///postgres?host=/var/run/postgresql for a socket.',
  })
}

/**
 * A backup idles for as long as it takes. A server that waits for a checkpoint on our behalf looks now and then (14 and
 * later, on Linux) whether we are still there.
 */
async function disableTimeouts(client: pg.Client): Promise<void> {
  const timeouts = ['statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout']
  await client.query('select set_config(name, $2, false) from pg_settings where name = any($1)', [timeouts, '0'])
  if (platform() === 'linux') {
    await client.query(
      "select set_config(name, '5s', false) from pg_settings where name = 'client_connection_check_interval'",
    )
  }
}

async function end(client: pg.Client): Promise<void> {
  try {
    await client.end()
  } catch {
    // It had ended already, which is all that is wanted.
  }
}

function postgresError(operation: string, object: string, cause: unknown): SeawallError {
  const { reason, hint } = explain(cause)
  return new SeawallError('postgres', { operation, object, reason, hint, cause })
}

/** What failed, by errno of the socket or SQLSTATE of the server. */
function explain(cause: unknown): { reason: string; hint: string } {
  const code = cause instanceof pg.DatabaseError ? cause.code : errno(cause)
  const reason = reasonOf(cause) || code || 'the connection failed'
  if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === '57P03') {
    return {
      reason,
      hint: 'Start the server; name its data directory with --pgdata, by which its socket and port are found, or itself with --dsn, PGHOST or PGPORT.',
    }
  }
  if (code?.startsWith('28')) {
    return {
      reason,
      hint: "Run this as the server's user (runuser -u postgres -- …), name another role with --dsn or PGUSER, or let this one in by pg_hba.conf.",
    }
  }
  if (code === '42501') {
    return {
      reason,
      hint: 'Connect as a superuser, or as a role with pg_monitor and EXECUTE on the functions that begin and end a backup.',
    }
  }
  return { reason, hint: "See the server's log for more." }
}
