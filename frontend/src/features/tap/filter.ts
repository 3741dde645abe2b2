/**
 * filterOf joins the expression with the chosen namespaces and side: what is
 * chosen in the bars holds in the sidecars too, and in the filter that one
 * copies.
 */
export function filterOf(q: string, namespaces: readonly string[], side: '' | 'outbound' | 'inbound' = ''): string {
  const own = q.trim()
  const within = namespaces.map((n) => `namespace = ${/[\s()"']/.test(n) ? JSON.stringify(n) : n}`).join(' or ')
  const told = side ? `direction = ${side}` : ''
  const parts = [told, within, own].filter(Boolean)
  if (parts.length < 2) return parts.join('')
  // "or" binds weakest, so what may hold one stands in brackets.
  return [told, namespaces.length > 1 ? `(${within})` : within, own && `(${own})`].filter(Boolean).join(' and ')
}
