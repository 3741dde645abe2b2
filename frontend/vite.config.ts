import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import type { Plugin, ProxyOptions } from 'vite'
import { defineConfig } from 'vitest/config'

const api = process.env.SIDELIGHT_API ?? 'http://127.0.0.1:8430'
const proxied: ProxyOptions = { target: api, ws: true, changeOrigin: true }

/**
 * The page stands on a relative <base>, which the Go handler sets to the depth
 * of the address asked for, so that one build works under any sub-path. The
 * development server always serves from its root.
 */
function developmentBase(): Plugin {
  return {
    name: 'sidelight-development-base',
    apply: 'serve',
    transformIndexHtml: (html) => html.replace('<base href="./" />', '<base href="/" />'),
  }
}

/** Keeps dist/.keep, which lets the Go package embed an empty build. */
function keepDist(): Plugin {
  const keep = fileURLToPath(new URL('./dist/.keep', import.meta.url))
  return {
    name: 'sidelight-keep-dist',
    apply: 'build',
    closeBundle() {
      writeFileSync(keep, '')
    },
  }
}

/** Packs assets once here instead of at every request; the Go handler serves them. */
function precompress(): Plugin {
  const assets = fileURLToPath(new URL('./dist/assets/', import.meta.url))
  return {
    name: 'sidelight-precompress',
    apply: 'build',
    closeBundle() {
      for (const name of readdirSync(assets)) {
        const whole = readFileSync(join(assets, name))
        const packed = gzipSync(whole, { level: 9 })
        if (packed.length < whole.length * 0.95) writeFileSync(join(assets, `${name}.gz`), packed)
      }
    },
  }
}

export default defineConfig({
  base: './',
  plugins: [react(), developmentBase(), keepDist(), precompress()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: {
    host: '127.0.0.1',
    port: 5173,
    proxy: { '/api': proxied, '/prometheus': proxied, '/jaeger': proxied, '/grafana': proxied },
  },
  // Only the product's page: bench/ has a React of its own.
  optimizeDeps: { entries: ['index.html'] },
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    sourcemap: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  test: {
    // What is pure runs without a document: it starts ten times as fast.
    projects: [
      {
        extends: true,
        test: { name: 'pure', environment: 'node', include: ['src/**/*.test.ts'], exclude: ['src/**/use*.test.ts'] },
      },
      {
        extends: true,
        test: { name: 'dom', environment: 'happy-dom', include: ['src/**/*.test.tsx', 'src/**/use*.test.ts'], setupFiles: ['./test/setup.ts'] },
      },
    ],
    testTimeout: 30_000,
    css: { modules: { classNameStrategy: 'non-scoped' } },
  },
})
