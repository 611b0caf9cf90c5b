import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** One build for the server and for the desktop app: absolute paths, hashed files under `/static`, no inline script. */
export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  plugins: [react()],
  // Replaced in every answer by whoever serves the page.
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    outDir: fileURLToPath(new URL('../../dist/console', import.meta.url)),
    emptyOutDir: true,
    assetsDir: 'static',
    target: 'es2022',
    sourcemap: false,
    // Nothing inline: `data:` is for pictures only in the page's policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
});
