/** The package's version, put in by Vite. */
declare const __KILN_VERSION__: string;
