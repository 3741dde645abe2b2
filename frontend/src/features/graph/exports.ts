import type { GraphView } from '@/api/types'
import { toDOT } from '@/graph/export'
import type { Model } from '@/graph/model'
import { save } from '@/lib/save'

/** Files of the graph: how it looks and what it says. */

export function exportJSON(view: GraphView): void {
  save(fileName(view.at, 'json'), 'application/json', `${JSON.stringify(view, null, 1)}\n`)
}

export function exportDOT(model: Model, at: string): void {
  save(fileName(at, 'dot'), 'text/vnd.graphviz', toDOT(model))
}

export function exportSVG(svg: string, at: string): void {
  save(fileName(at, 'svg'), 'image/svg+xml', svg)
}

/** Twice the size, for slides; false where the browser paints no such picture. */
export async function exportPNG(svg: string, at: string): Promise<boolean> {
  const image = new Image()
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`
  try {
    await image.decode()
  } catch {
    return false
  }
  const scale = Math.min(2, 8192 / Math.max(1, image.width, image.height))
  const canvas = document.createElement('canvas')
  canvas.width = Math.round(image.width * scale)
  canvas.height = Math.round(image.height * scale)
  canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height)
  const blob = await new Promise<Blob | null>((found) => canvas.toBlob(found, 'image/png'))
  if (blob) save(fileName(at, 'png'), 'image/png', blob)
  return blob !== null
}

function fileName(at: string, ending: string): string {
  return `mesh-${at.slice(0, 19).replace(/:/g, '')}.${ending}`
}
