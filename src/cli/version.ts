/** The version of the package, for `--version`. */
import manifest from '../../package.json' with { type: 'json' }

/** Version of this program, such as `0.1.0`. */
export const VERSION: string = manifest.version
