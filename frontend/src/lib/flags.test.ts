import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { flagMeanings, flagWord, whyAnswered } from './flags'

test('a flag means the same here, on the command line and in the API', () => {
  const go = readFileSync(new URL('../../../mesh/flags.go', import.meta.url), 'utf8')
  const short = new Map([...go.matchAll(/^\t(Flag\w+) +Flag = "(\w+)"$/gm)].map(([, name, flag]) => [name, flag]))
  const meanings = [...go.matchAll(/^\t(Flag\w+): +"(.+)",$/gm)].map(([, name, words]) => [short.get(name), words])
  expect(meanings.length).toBeGreaterThan(20)
  expect(flagMeanings).toEqual(Object.fromEntries(meanings))
})

test('several flags, none, and one that nobody knows', () => {
  expect(flagWord('URX,UF')).toBe('retries used up, could not connect')
  expect(flagWord('-')).toBe('')
  expect(flagWord('ZZ')).toBe('ZZ')
})

test('a connection that was not taken is no missing route', () => {
  expect(whyAnswered('NR', 'filter_chain_not_found', 'PeerAuthentication cinema/strict')).toBe('mutual TLS is required')
  expect(whyAnswered('NR', 'filter_chain_not_found', '')).toBe('nothing takes this connection')
  expect(whyAnswered('NR', 'route_not_found', '')).toBe('no route matched')
  expect(whyAnswered('-', '', 'AuthorizationPolicy cinema/deny')).toBe('')
})
