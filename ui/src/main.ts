// Draws the window.

import { mount } from 'svelte'
import App from './App.svelte'
import { applyPrefs } from './lib/state/prefs.svelte'

applyPrefs()
const target = document.getElementById('app')
if (!target) throw new Error('index.html has no #app')
mount(App, { target })
