/**
 * filterOf joins the expression with the chosen namespaces: the choice of the
 * top bar holds on this page too, and in the filter that one copies.
 */
export function filterOf(q: string, namespaces: readonly string[]): string {
  const within = namespaces.map((n) => `namespace = ${/[\s()"']/.test(n) ? JSON.stringify(n) : n}`).join(' or ')
  const own = q.trim()
  if (!within) return own
  if (!own) return within
  return `(${within}) and (${own})`
}
