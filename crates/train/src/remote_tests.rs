//! Engines over burn's remote devices, served on loopback by this process.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::remote::RemoteHost;
use tokio::net::TcpSocket;

use super::*;
use crate::served::Server;

/// Longer than anything here takes but what hangs.
const HANG: Duration = Duration::from_secs(120);

/// A convolution, which runs by the tape's own kernel, backward too.
#[derive(Module, Debug)]
struct Images {
    conv: Conv2d,
    last: Linear,
}

fn images() -> Images {
    let device = DeviceKind::Flex.device();
    device.seed(3);
    let device = device.autodiff();
    Images {
        conv: Conv2dConfig::new([1, 3], [3, 3]).init(&device),
        last: LinearConfig::new(3 * 6 * 3, 2).init(&device),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands for a step's closure")]
fn each_image(net: &Images, part: Part<'_>, tape: &mut Tape) -> Tensor<1> {
    let values = part.units.iter().flat_map(|at| row(*at)).collect();
    let input = host::tensor(values, [part.units.len(), 1, 8, 5], part.device);
    // Tracked, so that the convolution forms the gradient at its input, too.
    let maps = tape.conv2d(&net.conv, input.autodiff().require_grad()).tanh();
    tape.linear(&net.last, maps.flatten::<2>(1, 3)).powf_scalar(2.0).sum_dim(1).squeeze_dim(1)
}

/// What `work` gives, on a thread of its own; fails if it hangs.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || done.send(work()));
    match outcome.recv_timeout(HANG) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
    }
}

/// The same sample, sums and weights, bit for bit, wherever the parts are summed: so there is one draw of noise, too.
#[test]
fn remote_devices_share_one_batch() {
    let servers = [Server::start(), Server::start()];
    let [one, two] = servers.each_ref().map(|server| server.device.clone());
    let local = DeviceKind::Flex.device();
    in_time(move || {
        let alone = three_steps(&[local.clone()], net(), each);
        let alone_images = three_steps(&[local.clone()], images(), each_image);
        for devices in [vec![local.clone(), one.clone(), two.clone()], vec![one.clone()], vec![one, local, two]] {
            assert_eq!(alone, three_steps(&devices, net(), each), "{devices:?}");
            assert_eq!(alone_images, three_steps(&devices, images(), each_image), "{devices:?}");
        }
    });
}

/// A step whose server ends after the forward pass of its third part, or its fourth.
fn lost<M: Module>(
    devices: impl FnOnce(Device, Device) -> Vec<Device>,
    model: M,
    losses: impl Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync,
) -> (Error, u64) {
    let server = Server::start();
    let (local, remote) = (DeviceKind::Flex.device(), server.device.clone());
    let devices = devices(local, remote.clone());
    let model = model.fork(&devices[0].clone().autodiff());
    let mut engine = on(&devices, poisson(1.0, 1.0, 60, 5), Method { physical_batch: 4, ..method(FLAT) });
    let server = Mutex::new(Some(server));
    let failing = |model: &M, part: Part<'_>, tape: &mut Tape| {
        let found = losses(model, part.clone(), tape);
        if *part.device == remote && part.places.start > 8 {
            // What has been sent so far is computed; what comes after finds nobody.
            let _ = found.clone().into_data();
            drop(server.lock().unwrap().take());
        }
        found
    };
    let drawn = engine.draw().unwrap();
    let error = engine.sum(&model, drawn, failing).unwrap_err();
    assert!(engine.epsilon(Delta::new(1e-5).unwrap()).unwrap().unwrap().upper > 0.0, "the step is counted");
    (error, engine.taken())
}

#[test]
fn a_lost_device_is_an_error() {
    in_time(|| {
        let outcomes = [
            (1, lost(|local, remote| vec![local, remote], net(), each)),
            (1, lost(|local, remote| vec![local, remote], images(), each_image)),
            (0, lost(|_, remote| vec![remote], images(), each_image)),
        ];
        for (expected, (error, taken)) in outcomes {
            assert!(matches!(error, Error::DeviceLost { place, .. } if place == expected), "{error}");
            assert_eq!(taken, 1);
        }
        // Nothing of it stays behind in the process.
        three_steps(&[DeviceKind::Flex.device()], images(), each_image);
    });
}

/// burn's autodiff, which a panic then ends, works on as ever.
#[test]
fn a_device_lost_in_the_backward_pass_is_an_error() {
    in_time(|| {
        let server = Server::start();
        let devices = [server.device.clone()];
        let model = images().fork(&devices[0].clone().autodiff());
        let mut tape = Tape::recording(&model).unwrap();
        let losses = each_image(&model, Part { units: &[0, 1], places: 0..2, device: &devices[0] }, &mut tape);
        let _ = losses.clone().into_data();
        drop(server);
        let error = guarded(&devices, || tape.backward(losses).map(drop)).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { place: 0, .. }), "{error}");
        three_steps(&[DeviceKind::Flex.device()], images(), each_image);
    });
}

/// The device of the model ends between sum and step: the optimiser's work on it is lost.
#[test]
fn a_lost_model_is_an_error() {
    in_time(|| {
        let server = Server::start();
        let devices = [server.device.clone()];
        let method = Method { averaging: Averaging::Exponential(0.5), ..method(FLAT) };
        let mut engine = on(&devices, poisson(1.0, 1.0, 20, 5), method);
        let model = net().fork(&devices[0].clone().autodiff());
        let drawn = engine.draw().unwrap();
        let summed = engine.sum(&model, drawn, each).unwrap();
        drop(server);
        let error = engine.apply(model, summed).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { place: 0, .. }), "{error}");
    });
}

/// A server that is not there is an error where the device is made, after burn's own retries (16 s).
#[test]
fn an_absent_server_is_refused() {
    // Bound and not listening: nobody else can take the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let host = RemoteHost::websocket(&format!("ws://{}", socket.local_addr().unwrap()));
    let refused = in_time(move || Device::remote_options(&host).init().map(drop));
    assert!(matches!(refused, Err(burn::remote::ConnectError::Unreachable { .. })), "{refused:?}");
}
