export { GraphPage } from './GraphPage'
