/** The mesh's name until the server tells one: the host it is reached by. */
export function meshName(): string {
  const host = location.hostname
  return host === '' || host === 'localhost' || host.startsWith('127.') || host === '[::1]' ? 'local mesh' : host
}

/** An address frozen to the moment given, unless it names one already. */
export function frozenLink(href: string, now: Date): string {
  const url = new URL(href)
  if (!url.searchParams.get('at')) url.searchParams.set('at', now.toISOString().replace(/\.\d+Z$/, 'Z'))
  return url.href
}

export async function copyLink(): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(frozenLink(location.href, new Date()))
    return true
  } catch {
    return false
  }
}
