//! The smallest server: a model folder, an address, a folder for keys.
//!
//! ```sh
//! cargo run --release -p sordino-serve --example serve -- models/composed 127.0.0.1:7664 runs/keys
//! ```

use sordino_serve::{Options, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, address, store] = &arguments[..] else { return Err("expected MODEL ADDRESS STORE".into()) };
    let options = Options::new(vec![model.into()], address.parse()?, store.clone());
    run(options, |address| println!("listening on http://{address}/"))?;
    Ok(())
}
