/**
 * Where this page is mounted. The server sets <base> to the mount point, so
 * that one build works at the root and under any sub-path.
 */
export function basePath(): string {
  return new URL(document.baseURI).pathname.replace(/\/$/, '')
}

/** An address below the mount point: `apiURL('api/v1/graph')`. */
export function apiURL(path: string): string {
  return `${basePath()}/${path}`
}

/** The same as a WebSocket address. */
export function socketURL(path: string): string {
  const url = new URL(apiURL(path), location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}
