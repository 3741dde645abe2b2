import { percent, text } from '@/lib/format'

/**
 * A rule speaks for every reader of Prometheus: "5.161% of requests to
 * web.front.svc.cluster.local fail". Here figures and hosts are as on the pages.
 */
export function alertWords(summary: string): string {
  return shortHosts(summary).replaceAll(/\b(\d+(?:\.\d+)?)%/g, (_, figure: string) => text(percent(Number(figure) / 100)))
}

/** Hosts of the mesh without the domain that all of them have. */
export function shortHosts(words: string): string {
  return words.replaceAll(/\.svc\.cluster\.local\b/g, '')
}
