import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bin = process.env.SIDELIGHT_BIN ?? fileURLToPath(new URL('../../bin', import.meta.url))

/** A demo that plays one story, beside the one that all other tests share. */
export async function play(scenario: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const child: ChildProcess = spawn(join(bin, 'sidelight'), ['demo', '--no-browser', '--scenario', scenario], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((done) => child.once('exit', done))
  const url = await new Promise<string>((found, failed) => {
    let told = ''
    child.stdout?.on('data', (chunk) => {
      told += String(chunk)
      const [, address] = /Open {2}(http:\/\/\S+)/.exec(told) ?? []
      if (address) found(address)
    })
    child.once('exit', (code) => failed(new Error(`the demo ended with ${code}:\n${told}`)))
  })
  return {
    url,
    stop: async () => {
      child.kill('SIGINT')
      await ended
    },
  }
}
