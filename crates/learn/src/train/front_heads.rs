//! [`heads`]: from the parts that were learned to the heads of the client's front end.

use sordino_front::{Activation, Head, Layer, Quantiser};

use crate::heads::routing::Router;
use crate::math::affine::Affine;
use crate::math::grid::UniformGrid;
use crate::space::whitening::Whitening;
use crate::{LearnError, TrainConfig};

/// One head per stage, on base vectors of `width` numbers.
pub(super) fn heads(
    width: usize,
    config: &TrainConfig,
    router_space: &Whitening,
    space: &Whitening,
    routers: &[Router],
) -> Result<Vec<Head>, LearnError> {
    let affine = |Affine { weight, bias }: Affine| Layer::Affine { weight, bias };
    let mut heads = Vec::new();
    for (stage, router) in routers.iter().enumerate() {
        // A router that is not learned sees what the last stage sees.
        let seen = if router.trunk.is_empty() { space } else { router_space };
        let mut layers = vec![affine(seen.affine()), Layer::UnitNorm];
        for (i, map) in router.trunk.iter().enumerate() {
            if i > 0 {
                layers.push(Layer::Activation(Activation::Relu));
            }
            layers.push(affine(map.clone()));
        }
        layers.extend((!router.trunk.is_empty()).then_some(Layer::UnitNorm));
        let quantiser = quantiser(router.input, router.stage.rows.dim().2)?;
        heads.push(Head::new(format!("routing-{stage}"), width, layers, quantiser)?);
    }
    let layers = vec![affine(space.affine()), Layer::UnitNorm];
    let grid = UniformGrid::for_unit_vectors(config.tracks.input_bits, space.width())?;
    heads.push(Head::new("tracks", width, layers, quantiser(grid, space.width())?)?);
    Ok(heads)
}

fn quantiser(grid: UniformGrid, width: usize) -> Result<Quantiser, LearnError> {
    Ok(Quantiser::for_unit_vectors(width, u32::from(grid.bits()), grid.scale())?)
}
