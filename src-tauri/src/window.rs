//! The window itself: its size is remembered, its page data lives in Slipway's home.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tauri::{AppHandle, Manager, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent};

use crate::desk::Desk;

const LABEL: &str = "main";
const SMALLEST: (f64, f64) = (760.0, 520.0);

/// The window's size, in logical pixels, as it was when it was last closed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Size {
    width: f64,
    height: f64,
    maximized: bool,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            width: 1280.0,
            height: 820.0,
            maximized: false,
        }
    }
}

impl Size {
    /// What a file says, made large enough to use; the usual size when it says nothing useful.
    fn parse(text: &str) -> Self {
        let size: Self = serde_json::from_str(text).unwrap_or_default();
        Self {
            width: size.width.clamp(SMALLEST.0, 8192.0),
            height: size.height.clamp(SMALLEST.1, 8192.0),
            ..size
        }
    }

    fn of(window: &tauri::Window) -> Option<Self> {
        let scale = window.scale_factor().ok()?;
        let size = window.inner_size().ok()?.to_logical::<f64>(scale);
        Some(Self {
            width: size.width,
            height: size.height,
            maximized: window.is_maximized().ok()?,
        })
    }
}

/// The application's identifier: one for the usual home, another for each `SLIPWAY_HOME`.
pub(crate) fn identifier(usual: &str) -> String {
    match std::env::var_os("SLIPWAY_HOME").filter(|home| !home.is_empty()) {
        None => usual.to_owned(),
        Some(home) => {
            // FNV-1a: the same folder must give the same name in every run.
            let hash = home
                .as_encoded_bytes()
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            format!("{usual}.h{hash:016x}")
        }
    }
}

/// Opens the window.
pub(crate) fn open(app: &AppHandle) -> tauri::Result<()> {
    let data = app.state::<Arc<Desk>>().home.root().join("window");
    let file = data.join("size.json");
    let size = Size::parse(&std::fs::read_to_string(&file).unwrap_or_default());
    let window = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title("Slipway")
        .inner_size(size.width, size.height)
        .min_inner_size(SMALLEST.0, SMALLEST.1)
        .maximized(size.maximized)
        .data_directory(data)
        .build()?;
    remember_size(&window, file);
    Ok(())
}

fn remember_size(window: &WebviewWindow, file: PathBuf) {
    let this = window.as_ref().window();
    window.on_window_event(move |event| {
        if let WindowEvent::CloseRequested { .. } = event
            && let Some(size) = Size::of(&this)
            && let Ok(text) = serde_json::to_string(&size)
        {
            // A size that could not be remembered is not worth a message on the way out.
            let _ = std::fs::write(&file, text);
        }
    });
}

/// Shows the window that is already open to a person who started Slipway again.
pub(crate) fn bring_forward(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL) {
        // Window managers may refuse; the window is still there.
        let _ = window.unminimize();
        let _ = window.show();
        let _ = window.set_focus();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_file_is_never_trusted() {
        assert_eq!(Size::parse(""), Size::default());
        assert_eq!(Size::parse("{\"width\":1}"), Size::default());
        let tiny = Size::parse(r#"{"width":1,"height":1,"maximized":true}"#);
        assert_eq!((tiny.width, tiny.height), SMALLEST);
        assert!(tiny.maximized);
    }
}
