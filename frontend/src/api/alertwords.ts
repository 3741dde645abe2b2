import { duration, percent, span, text } from '@/lib/format'

/**
 * A rule speaks for every reader of Prometheus: "5.161% of requests to
 * web.front.svc.cluster.local fail", "after 3m 1s". Here figures, hosts and times
 * are as on the pages.
 */
export function alertWords(summary: string): string {
  return shortHosts(summary)
    .replaceAll(/\b(\d+(?:\.\d+)?)%/g, (_, figure: string) => text(percent(Number(figure) / 100)))
    .replaceAll(/\b(?:(\d+)d )?(?:(\d+)h )?(?:(\d+)m )?(\d+(?:\.\d+)?)s\b/g, (_, d = 0, h = 0, m = 0, s: string) => time(((Number(d) * 24 + Number(h)) * 60 + Number(m)) * 60 + Number(s)))
}

const time = (seconds: number) => (seconds < 10 ? text(duration(seconds * 1000)) : span(seconds))

/** Hosts of the mesh without the domain that all of them have. */
export function shortHosts(words: string): string {
  return words.replaceAll(/\.svc\.cluster\.local\b/g, '')
}
