import manifest from '../../package.json' with { type: 'json' };

export const AGENT_VERSION: string = manifest.version;

/** Filled in when the executable is built: of which sources the sudo plugin that belongs to it is. */
declare const IDENTREE_PLUGIN_BUILD: string | undefined;

/** Null when this runs from source: then no plugin belongs to it. */
export const PLUGIN_BUILD: string | null = typeof IDENTREE_PLUGIN_BUILD === 'string' ? IDENTREE_PLUGIN_BUILD : null;
